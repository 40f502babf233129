#!/usr/bin/perl
# SPDX-License-Identifier: LGPL-2.1-or-later

# Writes to a pipe, and reads from it in the main loop.

use strict;
use warnings;
use Glib::Object::Introspection;

Glib::Object::Introspection->setup(basename => 'Sel', version => '1.0', package => 'Sel');

pipe my $reader, my $writer or die "pipe: $!";

my $loop = Glib::MainLoop->new;
my $selector = Sel::default_selector_new();

$selector->register_callback(fileno $reader, 'read', sub {
  my ($sel, $key, $events) = @_;

  sysread $reader, my $text, 100;
  printf "descriptor %d: %s\n", $key->get_fd, $text;
  $loop->quit;
  return 0;
});
$selector->attach(undef, 0, undef);

syswrite $writer, 'hello';
$loop->run;
$selector->close;
