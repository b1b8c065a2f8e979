package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"shop.example/go/gen/comby/facade/v1"
)

// journal is a subscriber's file, a JSON object a line: the log first, then what was handled, and how far.
// A line is the effect and the position in one write, so an event is handled once, whenever the process is killed.
type journal struct {
	file     *os.File
	log      *facadev1.LogIdentity
	position uint64
}

type entry struct {
	LogID       string `json:"log_id,omitempty"`
	Incarnation string `json:"incarnation,omitempty"`
	Position    uint64 `json:"position"`
	Type        string `json:"type,omitempty"` // empty where only the position moved
	AggregateID string `json:"aggregate_id,omitempty"`
	Version     uint64 `json:"version,omitempty"`
}

// openJournal reads what was handled before, and cuts off a last line that was not written to its end.
func openJournal(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	opened := &journal{file: file}
	if err := opened.load(path); err != nil {
		file.Close()
		return nil, err
	}
	return opened, nil
}

func (j *journal) load(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	whole := bytes.LastIndexByte(content, '\n') + 1
	for number, line := range bytes.Split(bytes.TrimSpace(content[:whole]), []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var read entry
		if err := json.Unmarshal(line, &read); err != nil {
			return fmt.Errorf("%s:%d: %w", path, number+1, err)
		}
		if read.LogID != "" {
			j.log = &facadev1.LogIdentity{LogId: read.LogID, Incarnation: read.Incarnation}
		}
		j.position = max(j.position, read.Position)
	}
	if err := j.file.Truncate(int64(whole)); err != nil {
		return err
	}
	_, err = j.file.Seek(int64(whole), 0)
	return err
}

func (j *journal) append(line entry) error {
	encoded, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = j.file.Write(append(encoded, '\n'))
	return err
}
