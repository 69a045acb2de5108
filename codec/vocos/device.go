package vocos

// On gives the model on a device: "cpu", "cuda" or "vulkan" for a graphics processor,
// or "auto" for one where there is one. Both share the weights.
func (m *Model) On(name string) (*Model, error) {
	net, err := m.net.On(name)
	if err != nil {
		return nil, err
	}
	r := *m
	r.net = net
	return &r, nil
}
