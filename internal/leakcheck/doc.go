// Package leakcheck fails tests that leave something behind: goroutines, and on Linux sockets and open files. For
// tests alone.
//
// A package that starts goroutines or opens things has in one of its test files
//
//	func TestMain(m *testing.M) { leakcheck.Main(m) }
//
// [Check] does the same for one test, to find out which one it is.
package leakcheck
