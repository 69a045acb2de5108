package train

// sets are all sets of kernels that this machine runs.
func sets() []*kernels {
	switch best := available(); best {
	case avx512:
		return []*kernels{avx512, avx2}
	case avx2:
		return []*kernels{avx2}
	}
	return nil
}
