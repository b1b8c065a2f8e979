select coalesce(max(position), 0) from comby.events
