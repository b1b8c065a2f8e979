select comby.renew_incarnation()
