package choke

// What the bundled strategies say in Choice.Why. Strategies of one's own may say these or anything else.
const (
	// WhyFast: its rate earned it the slot. It sends to us the fastest ([NewTitForTat]), or takes from us the
	// fastest ([NewSeeding]).
	WhyFast = "fast"
	// WhyFastIdle: it sends to us faster than somebody who is unchoked for it, but wants nothing now. Costs no slot.
	WhyFastIdle = "fast, not interested"
	// WhyReciprocates: it unchoked us 15 s ago, and sends faster than two of those that were unchoked.
	WhyReciprocates = "reciprocates"
	// WhyOptimistic: it has its turn in a slot that goes round among all.
	WhyOptimistic = "optimistic"
	// WhyTurn: the same, where there is nothing but turns ([NewRoundRobin]).
	WhyTurn = "turn"
	// WhyFirstPiece: its turn is over, and lengthened until it has one whole piece from us.
	WhyFirstPiece = "first piece"
	// WhyBalance: it has sent us as much as we have sent it, or little less ([NewByteBalance]).
	WhyBalance = "in balance"
	// WhyLeeway: it is further behind than that, but sends to us right now.
	WhyLeeway = "leeway"
	// WhySpare: nobody has earned the slot, so it goes round ([NewByteBalance]).
	WhySpare = "spare"
	// WhyEveryone: there is no choice made.
	WhyEveryone = "everyone"
)

// An Explainer is a [Strategy] that can tell why it decided as it did. It is optional, and found by type assertion; a
// strategy that wraps another one passes the question on. What Choice.Why cannot tell is why a peer is choked.
//
// Explain answers for one peer, as of the last Choose. It is called under the same rules as Choose: never under a
// lock, never at the same time as either of the two, and under a deadline. The text is a phrase without a full stop
// for people who look at a list of peers, such as
//
//	slots full (4): sends 12 KiB/s, the slowest in a slot 40 KiB/s; number 3 in line
//
// and may change from version to version. It is empty for a peer that was not in the last round.
type Explainer interface {
	Explain(id PeerID) string
}
