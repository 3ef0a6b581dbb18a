"""Who follows whom: read from what servers say, put together, and compared. Pure.

`asking` names the commands and reads their replies into a `Seen`; `whole` puts what a group's nodes
have seen together; `disagreeing` says where they contradict each other; `strangers` who is there
and not managed here.
"""
