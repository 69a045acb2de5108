//go:build !amd64

package entropy

const vectors = false

func (m *matrix) addVectors(y, start []int32, x []int16) {}
