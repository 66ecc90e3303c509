/* Redis's glob patterns, for KEYS, SCAN MATCH and CONFIG GET. */
#ifndef GOSSIPD_CORE_COMMANDS_GLOB_H
#define GOSSIPD_CORE_COMMANDS_GLOB_H

#include <crdt.h>

/* True when the whole text matches: `*`, `?`, `[a-z]`, `[^a]`, `\x`. Cost: at
 * most O(pattern * text), whatever the pattern. */
bool glob_match(struct crdt_bytes pattern, struct crdt_bytes text, bool ignores_case);

#endif
