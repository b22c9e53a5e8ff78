-- SPDX-License-Identifier: MIT
--
-- The request log as it is now, column by column.  The daemon never runs this
-- file: it gets here by the numbered steps of migrate/, and a test holds that
-- both end at the same schema.  To change the schema, add a step and change
-- this file in the same commit.
--
-- Times are milliseconds since 1970 (UTC); durations are milliseconds with a
-- fraction.  An unknown value is NULL.

-- One row a finished request.  Rows are inserted in the order in which the
-- requests finished, so rowid is that order and `log --follow` goes by it.
CREATE TABLE requests (
	id TEXT PRIMARY KEY NOT NULL,	-- UUIDv7; the client saw it as X-Request-Id
	started_at INTEGER NOT NULL,	-- when the request arrived
	finished_at INTEGER NOT NULL,	-- when its last byte was handed over
	tenant TEXT,			-- whose key it carried
	client TEXT,			-- address, or "uid=N" on a Unix socket
	protocol TEXT NOT NULL,		-- "http" or "line"
	endpoint TEXT NOT NULL,		-- "/v1/completions", "generate"
	model TEXT,			-- the name the client asked for
	variant TEXT,			-- the variant that answered
	worker INTEGER,			-- the worker that finished it
	status TEXT NOT NULL,		-- "ok" or the name of an error
	finish TEXT,			-- "stop", "length"; NULL when not ok
	prompt_tokens INTEGER,
	completion_tokens INTEGER,
	cached_tokens INTEGER,		-- of the prompt, found in the prefix cache
	queue_ms REAL,			-- arrival to first step
	prefill_ms REAL,		-- the prompt's forward passes
	decode_ms REAL,			-- first token to last token
	ttft_ms REAL,			-- arrival to first token
	prompt TEXT,			-- as `log { keep }` says: text, "sha256:HEX", NULL
	output TEXT,			-- likewise
	params TEXT			-- sampling parameters, a JSON object
);

-- For --since and for deleting by age.
CREATE INDEX requests_started_at ON requests (started_at);
-- For the filters of `log`; each carries rowid, so "the newest N" reads N rows.
CREATE INDEX requests_model ON requests (model);
CREATE INDEX requests_status ON requests (status);
CREATE INDEX requests_tenant ON requests (tenant);

-- What operators did and what happened to processes.
CREATE TABLE events (
	id TEXT PRIMARY KEY NOT NULL,	-- UUIDv7
	at INTEGER NOT NULL,		-- when
	kind TEXT NOT NULL,		-- "load", "worker_exit"...
	subject TEXT,			-- the model, worker or request it is about
	text TEXT,			-- a sentence for people
	uid INTEGER			-- the operator's; NULL: nobody's
);

CREATE INDEX events_at ON events (at);

-- The files that models are or were served from, as last known.
CREATE TABLE variants (
	model TEXT NOT NULL,
	name TEXT NOT NULL,		-- as in requests.variant
	file TEXT NOT NULL,		-- its path
	type TEXT,			-- of its matrices, "Q4_K"
	bits_per_weight REAL,
	file_bytes INTEGER NOT NULL,
	source TEXT NOT NULL,		-- "base", "compress" or "found"
	made_from TEXT,			-- the variant it was compressed from
	created_at INTEGER NOT NULL,	-- when the file was written
	perplexity REAL,		-- as measured, and of what it was made from
	reference_perplexity REAL,
	kl_divergence REAL,		-- nats a token
	tokens_per_s REAL,		-- of a request, once begun, on average
	removed_at INTEGER,		-- when the file was found gone
	PRIMARY KEY (model, name)
);

PRAGMA application_id = 0x626d6c67;	-- "bmlg"
PRAGMA user_version = 2;
