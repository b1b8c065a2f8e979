package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// journal is a file of what was handled, a JSON object a line. A line is the effect and the position in one write, so an event is handled once,
// whenever the process is killed. In a database it would be a row beside those of the effect, in one transaction.
type journal struct {
	file        *os.File
	incarnation string
	position    uint64
	ids         map[string]bool
}

type entry struct {
	Incarnation string `json:"incarnation"`
	Position    uint64 `json:"position"`
	EventID     string `json:"event_id"`
	Type        string `json:"type"`
}

// openJournal reads what was handled before, and cuts off a last line that was not written to its end.
func openJournal(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	opened := &journal{file: file, ids: map[string]bool{}}
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
	for number, line := range bytes.Split(content[:whole], []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var read entry
		if err := json.Unmarshal(line, &read); err != nil {
			return fmt.Errorf("%s:%d: %w", path, number+1, err)
		}
		j.note(read)
	}
	if err := j.file.Truncate(int64(whole)); err != nil {
		return err
	}
	_, err = j.file.Seek(int64(whole), 0)
	return err
}

// has tells whether an event was handled. Positions only count within one life of the log: a restored one gives them again.
func (j *journal) has(one *recorded) bool {
	if one.incarnation == j.incarnation {
		return one.event.GetPosition() <= j.position
	}
	return j.ids[one.event.GetEventId()]
}

// handle has the effect, and notes it.
func (j *journal) handle(one *recorded) error {
	line := entry{
		Incarnation: one.incarnation,
		Position:    one.event.GetPosition(),
		EventID:     one.event.GetEventId(),
		Type:        one.event.GetType(),
	}
	encoded, err := json.Marshal(line)
	if err != nil {
		return err
	}
	if _, err := j.file.Write(append(encoded, '\n')); err != nil {
		return err
	}
	j.note(line)
	return nil
}

func (j *journal) note(line entry) {
	j.incarnation, j.position = line.Incarnation, line.Position
	j.ids[line.EventID] = true
}
