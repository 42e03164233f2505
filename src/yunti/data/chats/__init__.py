"""Conversations: read from tables, kept as texts that lose nothing, and turned into pieces that become tokens.

Read in the order of the work: `turns` (a conversation and the text it is kept as), `layout` (where conversations stand
in a table), `reading` (from its rows), `template` (what stands between the turns when a model reads them).
"""
