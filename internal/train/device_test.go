package train

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/cpu"
)

func testDevice() backend.Backend { return cpu.New(2) }
