select comby.leave_instance($1)
