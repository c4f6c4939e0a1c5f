"""What a person sees, as neutral cards: pure rendering of records, for every channel alike.

In: sessions, items, rulings, deployments, audit rows, and who is reading. Out: a `Card`, which a channel
draws in its own way, or `as_text` for plain text. Every number is a record's; foreign text is made safe.
"""
