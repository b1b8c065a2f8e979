package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"shop.example/go/gen/comby/facade/v1"
)

// follow runs one subscriber for each journal until the process is told to end, or killed.
func follow(ctx context.Context, shop *shop, journals, types []string, breakEvery int) error {
	if len(journals) == 0 {
		return errors.New("follow needs at least one --journal")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(journals))
	for _, path := range journals {
		go func() { ended <- followOne(ctx, shop, path, types, breakEvery) }()
	}
	for range journals {
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return nil
}

func followOne(ctx context.Context, shop *shop, path string, types []string, breakEvery int) error {
	journal, err := openJournal(path)
	if err != nil {
		return err
	}
	defer journal.file.Close()
	print(map[string]any{"did": "follow", "journal": path, "after": journal.position})
	untilBreak := breakAfter(breakEvery)
	one := &subscription{
		facade:   shop.facade,
		filter:   &facadev1.EventFilter{Types: types},
		position: journal.position,
		log:      journal.log,
		began: func(log *facadev1.LogIdentity) error {
			return journal.append(entry{LogID: log.GetLogId(), Incarnation: log.GetIncarnation()})
		},
		handle: func(event *facadev1.Event) error {
			handled := entry{
				Position:    event.GetPosition(),
				Type:        event.GetType(),
				AggregateID: event.GetAggregateId(),
				Version:     event.GetVersion(),
			}
			if err := journal.append(handled); err != nil {
				return err
			}
			if untilBreak--; untilBreak == 0 {
				untilBreak = breakAfter(breakEvery)
				return errBroken
			}
			return nil
		},
		moved: func(position uint64) error { return journal.append(entry{Position: position}) },
	}
	if err := one.run(ctx); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// breakAfter returns after how many events to break the stream next; -1 is never.
func breakAfter(most int) int {
	if most <= 0 {
		return -1
	}
	return 1 + rand.IntN(most)
}
