// Runs the SQL on standard input in DuckDB, all of it, in one process.  PEERS is where `make bench-peers` put it.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(process.env.PEERS + '/');
const { DuckDBInstance } = require('@duckdb/node-api');
const connection = await (await DuckDBInstance.create(':memory:')).connect();
const result = await connection.runAndReadAll(readFileSync(0, 'utf8'));
if (process.argv[2] === '--print')
    for (const row of result.getRows())
        console.log(row.join('\t'));
