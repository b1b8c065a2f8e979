update log set clean = :clean
