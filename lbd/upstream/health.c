#include "lbd/upstream/health.h"

void health_init(struct health *health, uint32_t rise, uint32_t fall)
{
    *health = (struct health){
        .state = SERVER_STARTING,
        .rise = rise != 0 ? rise : 1,
        .fall = fall != 0 ? fall : 1,
    };
}

bool health_note(struct health *health, bool passed)
{
    enum server_health wanted = passed ? SERVER_UP : SERVER_DOWN;
    if (health->state == wanted) {
        health->streak = 0; /* one result for it forgets those against it */
        return false;
    }

    health->streak++;
    uint32_t needed = 1; /* without an opinion yet the first result decides */
    if (health->state == SERVER_UP) {
        needed = health->fall;
    } else if (health->state == SERVER_DOWN) {
        needed = health->rise;
    }
    if (health->streak < needed) {
        return false;
    }
    health->state = wanted;
    health->streak = 0;
    return true;
}
