-- SPDX-License-Identifier: MIT
-- The files models are served from; ../schema.sql says what each column means.
CREATE TABLE variants (
	model TEXT NOT NULL,
	name TEXT NOT NULL,
	file TEXT NOT NULL,
	type TEXT,
	bits_per_weight REAL,
	file_bytes INTEGER NOT NULL,
	source TEXT NOT NULL,
	made_from TEXT,
	created_at INTEGER NOT NULL,
	perplexity REAL,
	reference_perplexity REAL,
	kl_divergence REAL,
	tokens_per_s REAL,
	removed_at INTEGER,
	PRIMARY KEY (model, name)
);
