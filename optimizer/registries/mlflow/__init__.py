"""The MLflow registry: its prompts, with aliases as labels.

In: the address of an MLflow server, or of its database. Out: `Registry`. `client` calls MLflow's own client, `versions`
reads and makes what it holds, `registry` keeps the contract. Over the client, not REST: it knows every way to sign in
and every store. What of it caches, swallows errors or sends again what was done is not used, or switched off.
"""
