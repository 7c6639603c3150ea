"""Ads: campaigns, who may see them, what a showing is worth, what it costs, and what came of it.

A campaign comes on ``catalog.campaigns.v1`` (:mod:`processors.ads.campaign`). The campaigns plane keeps what it spent
and how fast it may spend (:mod:`processors.ads.campaigns_plane`). The users plane decides
(:mod:`processors.ads.decide`) and notes in the profile what it decided and what came of it
(:mod:`processors.users.ad_history`).
"""
