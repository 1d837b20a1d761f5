package pods

import "time"

// queue is a heap of the instances that wait for their time (container/heap).
type queue []*instance

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].wakeAt.Before(q[j].wakeAt) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].heapAt, q[j].heapAt = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	in := x.(*instance)
	in.heapAt = len(*q)
	*q = append(*q, in)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	old := *q
	in := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	in.heapAt = -1
	return in
}

// due is how long it is until the first one's time.
func (q queue) due(now time.Time) time.Duration {
	if len(q) == 0 {
		return time.Hour
	}
	return q[0].wakeAt.Sub(now)
}
