/* Help; see help.h. */
#include "gossipd/core/commands/help.h"

#include "gossipd/wire/resp.h"

enum crdt_status help_reply(struct call *call, const char *const *lines)
{
    size_t count = 0;
    while (lines[count] != NULL) {
        count++;
    }
    enum crdt_status status = resp_array(call->reply, count);
    for (size_t i = 0; i < count && status == CRDT_OK; i++) {
        status = resp_simple(call->reply, lines[i]);
    }
    return status;
}
