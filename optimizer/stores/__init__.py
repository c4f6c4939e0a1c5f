"""Typed functions over the database port, one file per record.

In: plain values and records. Out: records, or plain values where nothing more is known of them. Every method
is one call of one SQL function, whose source is `migrations/functions/<record>.sql`.
"""
