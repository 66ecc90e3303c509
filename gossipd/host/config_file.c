/* The configuration file. See config_file.h. */
#include "gossipd/host/config_file.h"

#include <confuse.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* libConfuse's callbacks carry no context: this is the one reading at a time. */
static struct config *reading;
static struct failure *reading_failure;

static void say_first(cfg_t *file, const char *text)
{
    if (reading_failure->text[0] == '\0') {
        failure_say(reading_failure, "%s:%d: %s", file->filename != NULL ? file->filename : "?",
            file->line, text);
    }
}

static LOG_PRINTF(2, 0) void on_error(cfg_t *file, const char *format, va_list arguments)
{
    char text[FAILURE_BYTES];
    vsnprintf(text, sizeof text, format, arguments);
    say_first(file, text);
}

static int on_key(cfg_t *file, cfg_opt_t *option)
{
    struct failure failure = {{0}};
    const char *text = cfg_opt_getnstr(option, 0);
    if (config_apply(reading, cfg_opt_name(option), text != NULL ? text : "", &failure)) {
        return 0;
    }
    say_first(file, failure.text);
    return -1;
}

static int on_peer(cfg_t *file, cfg_opt_t *option)
{
    struct failure failure = {{0}};
    cfg_t *peer = cfg_opt_getnsec(option, cfg_opt_size(option) - 1);
    snprintf(reading->place, sizeof reading->place, "%s:%d",
        file->filename != NULL ? file->filename : "?", file->line);
    if (config_add_peer(reading, cfg_title(peer), cfg_getstr(peer, "key"),
            cfg_getstr(peer, "address"), &failure)) {
        return 0;
    }
    say_first(file, failure.text);
    return -1;
}

static bool parse(const char *path, cfg_opt_t *options, struct failure *failure)
{
    cfg_t *file = cfg_init(options, CFGF_NONE);
    if (file == NULL) {
        return failure_say(failure, "out of memory");
    }
    cfg_set_error_function(file, on_error);
    for (size_t i = 0; config_key(i) != NULL; i++) {
        cfg_set_validate_func(file, config_key(i), on_key);
    }
    cfg_set_validate_func(file, "peer", on_peer);
    int result = cfg_parse(file, path);
    int error = errno;
    cfg_free(file);
    if (result == CFG_FILE_ERROR) {
        return failure_say(failure, "cannot read %s: %s", path, strerror(error));
    }
    if (result != CFG_SUCCESS && failure->text[0] == '\0') {
        return failure_say(failure, "%s: not a configuration file", path);
    }
    return result == CFG_SUCCESS;
}

bool config_file_read(struct config *config, const char *path, struct failure *failure)
{
    cfg_opt_t peer_options[] = {
        CFG_STR("key", NULL, CFGF_NODEFAULT),
        CFG_STR("address", NULL, CFGF_NODEFAULT),
        CFG_END(),
    };
    cfg_opt_t options[CONFIG_KEYS_MAX + 2];
    size_t count = 0;
    while (config_key(count) != NULL) {
        options[count] = (cfg_opt_t)CFG_STR(config_key(count), NULL, CFGF_NODEFAULT);
        count++;
    }
    options[count++] =
        (cfg_opt_t)CFG_SEC("peer", peer_options, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
    options[count] = (cfg_opt_t)CFG_END();
    struct stat facts;
    if (access(path, R_OK) != 0 || stat(path, &facts) != 0) {
        return failure_say(failure, "cannot read %s: %s", path, strerror(errno));
    }
    if (S_ISDIR(facts.st_mode)) {
        return failure_say(failure, "cannot read %s: it is a directory; -c expects a configuration "
            "file, --dir names the data directory", path);
    }
    failure->text[0] = '\0';
    reading = config;
    reading_failure = failure;
    bool is_read = parse(path, options, failure);
    reading = NULL;
    reading_failure = NULL;
    return is_read;
}
