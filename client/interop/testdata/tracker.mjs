// bittorrent-tracker from npm as one tracker of the interoperability tests.
//
//   node tracker.mjs DIR HOST PORT
//
// DIR holds node_modules with the package; HTTP and UDP are served at HOST,
// and no websockets. It prints READY when it listens.
import { pathToFileURL } from 'node:url'
import { join } from 'node:path'
import { isIPv6 } from 'node:net'

const [dir, host, port] = process.argv.slice(2)
const module = join(dir, 'node_modules', 'bittorrent-tracker', 'server.js')
const { default: Server } = await import(pathToFileURL(module).href)

const server = new Server({ http: true, udp: true, ws: false, stats: false })
for (const what of ['error', 'warning']) {
  server.on(what, err => console.error(`${what}: ${err.message}`))
}
for (const what of ['start', 'update', 'complete', 'stop']) {
  server.on(what, addr => console.error(`${what} ${addr}`))
}
// The package opens a UDP socket of either family; one of them is of no use here.
server.listen(Number(port), {
  http: host,
  udp: isIPv6(host) ? '127.0.0.1' : host,
  udp6: isIPv6(host) ? host : '::1'
}, () => console.log('READY'))
