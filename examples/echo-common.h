/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-glib.h>

/* The exit status of a program if the system does not support its selector. */
#define ECHO_EXIT_NOT_SUPPORTED 77

void             echo_parse_arguments        (const char         *description,
                                              const GOptionEntry *options,
                                              int                *argc,
                                              char             ***argv);
char            *echo_get_version            (void);
gboolean         echo_check_backend          (const char  *backend,
                                              GError     **error);
SelBaseSelector *echo_selector_new           (const char  *backend,
                                              GError     **error);
const char      *echo_backend_name           (SelBaseSelector *selector);
char           **echo_list_backends          (void);
void             echo_print_backends         (void);
guint            echo_raise_descriptor_limit (void);
void             echo_explain_limit          (const char  *program,
                                              guint        limit);
