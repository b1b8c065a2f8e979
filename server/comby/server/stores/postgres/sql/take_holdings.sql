select taken_partition, taken_duty, taken_epoch, unclean from comby.take_holdings($1, $2, $3, $4)
