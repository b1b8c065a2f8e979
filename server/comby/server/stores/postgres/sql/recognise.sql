select log_id, incarnation, renewed, known from comby.recognise()
