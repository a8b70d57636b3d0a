-- How browsers sign in: codes that are used once, and sessions. Only digests (SHA-256) are stored. A row without a token is of the local
-- user of a server without --auth.
CREATE TABLE sign_in_codes (
  digest TEXT PRIMARY KEY, token TEXT REFERENCES tokens (name) ON DELETE CASCADE, expires BIGINT NOT NULL
);
CREATE INDEX sign_in_codes_token ON sign_in_codes (token);

CREATE TABLE browser_sessions (
  digest TEXT PRIMARY KEY, -- of the cookie
  token TEXT REFERENCES tokens (name) ON DELETE CASCADE, created BIGINT NOT NULL, expires BIGINT NOT NULL
);
CREATE INDEX browser_sessions_token ON browser_sessions (token, created);
