-- SPDX-License-Identifier: MIT
-- The first schema; ../schema.sql says what each column means.
CREATE TABLE requests (
	id TEXT PRIMARY KEY NOT NULL,
	started_at INTEGER NOT NULL,
	finished_at INTEGER NOT NULL,
	tenant TEXT,
	client TEXT,
	protocol TEXT NOT NULL,
	endpoint TEXT NOT NULL,
	model TEXT,
	variant TEXT,
	worker INTEGER,
	status TEXT NOT NULL,
	finish TEXT,
	prompt_tokens INTEGER,
	completion_tokens INTEGER,
	cached_tokens INTEGER,
	queue_ms REAL,
	prefill_ms REAL,
	decode_ms REAL,
	ttft_ms REAL,
	prompt TEXT,
	output TEXT,
	params TEXT
);
CREATE INDEX requests_started_at ON requests (started_at);
CREATE INDEX requests_model ON requests (model);
CREATE INDEX requests_status ON requests (status);
CREATE INDEX requests_tenant ON requests (tenant);
CREATE TABLE events (
	id TEXT PRIMARY KEY NOT NULL,
	at INTEGER NOT NULL,
	kind TEXT NOT NULL,
	subject TEXT,
	text TEXT,
	uid INTEGER
);
CREATE INDEX events_at ON events (at);
PRAGMA application_id = 0x626d6c67;
