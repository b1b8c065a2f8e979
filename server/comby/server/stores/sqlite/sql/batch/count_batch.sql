update log set batch = :batch
