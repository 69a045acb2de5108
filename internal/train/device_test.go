package train

import (
	"github.com/sotto-audio/sotto/internal/backend"
	"github.com/sotto-audio/sotto/internal/backend/scratch"
)

func testDevice() backend.Backend { return scratch.NewFast(2) }
