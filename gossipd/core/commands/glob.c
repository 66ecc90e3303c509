/* Glob patterns; see glob.h. A star that fails to match is tried again one byte
 * further on, and only the last star needs that: no pattern is exponential. */
#include "gossipd/core/commands/glob.h"

#include "gossipd/core/commands/text.h"

struct glob {
    const char *pattern;
    size_t pattern_size;
    bool ignores_case;
};

static char folded(const struct glob *glob, char byte)
{
    return glob->ignores_case ? text_lower(byte) : byte;
}

/* Matches one byte against the class whose '[' stands at `*at`; moves `*at`
 * behind it. As in Redis a class that is not closed ends with the pattern. */
static bool class_matches(const struct glob *glob, size_t *at, char byte)
{
    const char *pattern = glob->pattern;
    size_t i = *at + 1;
    bool is_negated = i < glob->pattern_size && pattern[i] == '^';
    bool matches = false;
    i += is_negated;
    while (i < glob->pattern_size && pattern[i] != ']') {
        unsigned char wanted = (unsigned char)folded(glob, byte);
        if (pattern[i] == '\\' && i + 1 < glob->pattern_size) {
            i++;
            matches |= pattern[i] == byte;
        } else if (i + 2 < glob->pattern_size && pattern[i + 1] == '-') {
            unsigned char low = (unsigned char)folded(glob, pattern[i]);
            unsigned char high = (unsigned char)folded(glob, pattern[i + 2]);
            matches |= low <= high ? wanted >= low && wanted <= high
                                   : wanted >= high && wanted <= low;
            i += 2;
        } else {
            matches |= folded(glob, pattern[i]) == folded(glob, byte);
        }
        i++;
    }
    *at = i < glob->pattern_size ? i + 1 : i;
    return matches != is_negated;
}

/* Matches one byte against what stands at `*at`, which is no star. */
static bool byte_matches(const struct glob *glob, size_t *at, char byte)
{
    char first = glob->pattern[*at];
    if (first == '[') {
        return class_matches(glob, at, byte);
    }
    if (first == '\\' && *at + 1 < glob->pattern_size) {
        (*at)++;
    }
    char wanted = glob->pattern[(*at)++];
    return first == '?' || folded(glob, wanted) == folded(glob, byte);
}

bool glob_match(struct crdt_bytes pattern, struct crdt_bytes text, bool ignores_case)
{
    struct glob glob = {pattern.data, pattern.size, ignores_case};
    const char *bytes = text.data;
    size_t at = 0;
    size_t i = 0;
    size_t star = SIZE_MAX; /* where the pattern goes on behind the last star      */
    size_t star_text = 0;   /* the byte from which that was tried last             */
    while (i < text.size) {
        if (at < pattern.size && glob.pattern[at] == '*') {
            star = ++at;
            star_text = i;
        } else if (at < pattern.size && byte_matches(&glob, &at, bytes[i])) {
            i++;
        } else if (star != SIZE_MAX) {
            at = star;
            i = ++star_text;
        } else {
            return false;
        }
    }
    while (at < pattern.size && glob.pattern[at] == '*') {
        at++;
    }
    return at == pattern.size;
}
