insert or ignore into stamps (model, stamp) values (:model, :stamp)
