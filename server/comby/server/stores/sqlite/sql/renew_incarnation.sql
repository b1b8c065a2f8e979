update log set incarnation = :incarnation
