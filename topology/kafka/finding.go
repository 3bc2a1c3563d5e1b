package kafka

// Finding is one condition of a start, and why it does not hold, if it does not.
type Finding struct {
	What string // empty: there is only advice
	Err  error
	// Advice is what would be better, where the condition holds; mostly empty.
	Advice string
}
