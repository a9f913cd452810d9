/*
 * media_type - what kind of content a file is, by the end of its name.
 *
 * Memory: constant texts. Threads: any.
 */
#ifndef LBD_HTTP_MEDIA_TYPE_H
#define LBD_HTTP_MEDIA_TYPE_H

#include "lbd/base/slice.h"

/* "text/html; charset=utf-8" of "/srv/a.html"; an end that is not known is plain text. */
struct slice media_type_of_path(struct slice path);

#endif
