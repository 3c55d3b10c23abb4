// Runs the SQL on standard input in ClickHouse's embedded engine, one statement after the other, in one process.
// PEERS is where `make bench-peers` put it.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(process.env.PEERS + '/');
const { query } = require('chdb');
for (const statement of readFileSync(0, 'utf8').split(/;[ \t]*$/m))
    if (statement.trim())
        process.stdout.write(query(statement, 'TSV'));
