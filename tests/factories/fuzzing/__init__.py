"""Hostile requests for the NGSI-LD interface, and what must hold after each of them.

`hostile` makes values, `parameters` those of an address, `documents` bodies, `asking` whole requests; `wire` sends their
bytes, `neighbours` are the servers that their URLs name; `serving` is the process that is asked, `ledger` what its
database holds, `judging` what an answer must be; `campaign` does it all for a while, and keeps each fault that it finds with the
smallest request that shows it (`shrinking`).
"""
