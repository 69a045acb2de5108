package recognizer

import "math"

// LogSoftmax turns a row of scores into natural logarithms of probabilities.
func LogSoftmax(row []float32) {
	top := row[0]
	for _, v := range row {
		top = max(top, v)
	}
	var sum float64
	for _, v := range row {
		sum += math.Exp(float64(v - top))
	}
	lse := float32(math.Log(sum))
	for i, v := range row {
		row[i] = v - top - lse
	}
}
