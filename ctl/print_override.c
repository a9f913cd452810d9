#include "ctl/print_override.h"

#include "ctl/print_table.h"
#include "ctl/when.h"

void print_override(struct ctl *ctl, const struct json *override)
{
    char when[WHEN_TEXT_MAX];
    struct slice state = ctl_text(override, "state");
    struct slice weight = ctl_text(override, "weight");
    struct slice reason = ctl_text(override, "reason");
    struct slice expires = ctl_text(override, "expires");
    when_write_text(when, ctl_text(override, "since"));
    print_text(ctl->out, ctl_text(override, "target"));
    if (state.len != 0) {
        (void)fputs(" state ", ctl->out);
        print_text(ctl->out, state);
    } else if (weight.len != 0) { /* "50%" */
        (void)fputs(" weight ", ctl->out);
        print_text(ctl->out, weight);
    } else {
        (void)fprintf(ctl->out, " weight %llu", (unsigned long long)ctl_number(override, "weight"));
    }
    (void)fprintf(ctl->out, ", since %s by ", when);
    print_text(ctl->out, ctl_text(override, "who"));
    if (expires.len != 0) {
        when_write_text(when, expires);
        (void)fprintf(ctl->out, ", until %s", when);
    }
    if (reason.len != 0) {
        (void)fputs(": ", ctl->out);
        print_text(ctl->out, reason);
    }
}

void print_override_remedy(struct ctl *ctl, const struct json *override)
{
    bool is_state = ctl_text(override, "state").len != 0;
    struct slice base = ctl_text(override, "base");
    if (!is_state) {
        (void)fputs("lbctl weight ", ctl->out);
    } else if (slice_eq(base, SLICE("drain")) || slice_eq(base, SLICE("maint"))) {
        (void)fprintf(ctl->out, "lbctl %.*s ", SLICE_ARG(base));
    } else {
        (void)fputs("lbctl enable ", ctl->out);
    }
    print_text(ctl->out, ctl_text(override, "target"));
    (void)fputs(is_state ? "" : " reset", ctl->out);
}
