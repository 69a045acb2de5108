package audio

import "errors"

func findMP3(h []byte) int                                { return -1 }
func newMP3Reader(s *source, file string) (Reader, error) { return nil, errors.New("mp3 later") }
