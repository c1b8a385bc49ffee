//go:build !race && !cachedebug

package dualcache

// debug is false in ordinary builds: every guarded block below it is compiled
// out. See debug_on.go for what the debug builds do.
const debug = false

// A yieldPoint names a place where debug builds may pause or hold a goroutine.
type yieldPoint int

const (
	pointReadProtected yieldPoint = iota
	pointReadCandidate
	pointBucketLocked
	pointBeforeRetire
	pointBeforePromote
	pointAfterPromote
	pointGraceScanned
	pointPass
	pointBeforePark
	pointInPlace
	pointMoved
	pointBeforeNeighbour
	pointShown
	pointBetweenTables
	pointFilled
	pointJudged
	pointForwarded
	pointCount
)

func yield(yieldPoint) {}

func skipBarrier() bool { return false }

func skipScan() bool { return false }

func noteAge(uint32) {}
