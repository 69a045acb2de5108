package vulkan

//go:generate go run ./gen
