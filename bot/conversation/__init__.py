"""The conversation: the words of a person become commands, commands go through the one door, answers go back.

In comes the text of a reply and the items that wait; out goes what the person ordered, or a question back.
`grammar.parse` is the way in: pure, without a model, and it never deploys on words that it does not know.
"""
