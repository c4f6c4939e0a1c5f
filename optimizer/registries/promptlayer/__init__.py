"""The PromptLayer registry, over its REST API.

In: a key and a prefix of names. Out: `Registry`. `api` speaks HTTP, `versions` reads and makes what is sent, `registry`
keeps the contract. Not over the vendor's SDK: its publish reports failure as success and sends again what was done,
and it knows neither labels nor versions.
"""
