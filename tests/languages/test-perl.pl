#!/usr/bin/perl
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Selectors in Perl, with Glib::Object::Introspection. Prints TAP.

use strict;
use warnings;

use Glib;
use Glib::Object::Introspection;
use Socket;
use Test::More;

# The classes below derive from Sel's, so these have to be there when Perl compiles them.
BEGIN {
  Glib::Object::Introspection->setup(basename => 'Gio', version => '2.0', package => 'Gio');
  Glib::Object::Introspection->setup(basename => 'Sel', version => '1.0', package => 'Sel');
}

# The binding refuses undef for a nullable GValue. A GValue without a value takes its place.
my $NO_DATA = Glib::Object::Introspection::GValueWrapper->new('Glib::String', undef);
my $FOREVER = 9**9**9;
my $rounds = $ENV{ROUNDS} // 100;

# The first end is writable and not readable.
sub new_pair
{
  socketpair(my $one, my $two, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die "socketpair: $!";
  return ($one, $two);
}

sub new_selector
{
  return Sel::default_selector_new();
}

sub run_until
{
  my ($condition) = @_;
  Glib::MainContext->default->iteration(1) until $condition->();
}

# The binding gives undef for an empty list.
sub list
{
  return $_[0] // [];
}

# Returns the error of a call that has to fail.
sub failure
{
  my ($call) = @_;
  eval { $call->(); 1 } and return;
  return $@;
}

# Runs tests under a common title. The output of subtest () has indented lines, which meson does not know.
sub group
{
  my ($title, $tests) = @_;
  note($title);
  $tests->();
}

note("Perl $], Glib::Object::Introspection $Glib::Object::Introspection::VERSION");

group 'register, modify and unregister' => sub {
  my $selector = new_selector();
  my ($one, $two) = new_pair();
  my $key = $selector->register(fileno $one, 'read', $NO_DATA);

  is($key->get_fd, fileno $one);
  ok($key->get_events == 'read');

  my $changed = $selector->modify(fileno $one, ['read', 'write'], $NO_DATA);
  ok($changed->get_events == ['read', 'write']);
  ok($key->get_events == 'read', 'the key of before is unchanged');

  is($selector->unregister(fileno $one)->get_fd, fileno $one);
  is($selector->get_map->get_size, 0);
};

group 'select gives events' => sub {
  my $selector = new_selector();
  my ($one, $two) = new_pair();
  my ($silent, $other) = new_pair();

  $selector->register(fileno $one, ['read', 'write'], $NO_DATA);
  $selector->register(fileno $silent, 'read', $NO_DATA);

  my $events = $selector->select($FOREVER, undef);
  is(scalar @$events, 1);
  is($events->[0]->get_key->get_fd, fileno $one);
  ok($events->[0]->get_events == 'write');

  syswrite $two, '!';
  $events = $selector->select($FOREVER, undef);
  ok($events->[0]->get_events == ['read', 'write']);

  $selector->unregister(fileno $one);
  is_deeply(list($selector->select(0, undef)), []);
};

group 'events outlive their list and their selector' => sub {
  my ($one, $two) = new_pair();
  my @kept;

  for (1 .. $rounds) {
    my $selector = new_selector();
    $selector->register(fileno $one, 'write', $NO_DATA);
    push @kept, $selector->select(0, undef)->[0];
  }
  is((grep { $_->get_key->get_fd == fileno $one and $_->get_events == 'write' } @kept), $rounds);
};

group 'select_fds gives two arrays' => sub {
  my $selector = new_selector();
  my ($one, $two) = new_pair();

  $selector->register(fileno $one, 'write', $NO_DATA);
  my ($ok, $fds) = $selector->select_fds(0, undef);
  ok($ok);
  is_deeply($fds, [fileno $one]);
};

group 'the mapping and check' => sub {
  my $selector = new_selector();
  my ($one, $two) = new_pair();
  my $fd = fileno $one;
  my $map = $selector->get_map;

  is($map->lookup($fd), undef);
  $selector->register($fd, 'read', $NO_DATA);
  is($map->get_size, 1);
  ok($map->contains($fd));
  is($map->lookup($fd)->get_fd, $fd);
  is_deeply([map { $_->get_fd } @{$map->get_keys}], [$fd]);

  is_deeply(list($selector->check), []);
  close $one;
  is_deeply([map { $_->get_fd } @{$selector->check}], [$fd]);
  $selector->close;
  is($selector->get_map, undef);
};

group 'an error is an exception' => sub {
  my $selector = new_selector();
  my ($one, $two) = new_pair();
  my $fd = fileno $one;

  $selector->register($fd, 'read', $NO_DATA);
  my $error = failure(sub { $selector->register($fd, 'read', $NO_DATA) });
  isa_ok($error, 'Sel::SelectorError');
  is($error->value, 'already-registered');
  like($error->message, qr/\b$fd\b/);

  is(failure(sub { $selector->register(-1, 'read', $NO_DATA) })->value, 'invalid-file');
  $selector->close;
  is(failure(sub { $selector->select(0, undef) })->value, 'closed');
};

group 'data' => sub {
  my $selector = new_selector();
  my ($one, $two) = new_pair();
  my $text = Glib::Object::Introspection::GValueWrapper->new('Glib::String', 'a text');

  $selector->register(fileno $one, 'write', $text);
  undef $text;
  is($selector->select(0, undef)->[0]->get_key->get_data, 'a text');

  my $number = Glib::Object::Introspection::GValueWrapper->new('Glib::Int', 42);
  $selector->modify(fileno $one, 'write', $number);
  is($selector->get_key(fileno $one)->get_data, 42);
};

group 'undef as data' => sub {
  my $selector = new_selector();
  my ($one, $two) = new_pair();
  local $SIG{__WARN__} = sub {};
  my $error = failure(sub { $selector->register(fileno $one, 'write', undef) });

  SKIP: {
    skip "Glib::Object::Introspection $Glib::Object::Introspection::VERSION refuses undef for a GValue", 1
      if defined $error;
    is($selector->get_key(fileno $one)->get_data, undef);
  }
};

group 'callbacks in a main loop' => sub {
  my $selector = new_selector();
  my ($one, $two) = new_pair();
  my ($calls, @wrong) = (0);

  $selector->register_callback(fileno $one, 'write', sub {
    my ($sel, $key, $events) = @_;
    push @wrong, $calls unless $sel == $selector and $key->get_fd == fileno $one and $events == 'write';
    return ++$calls < 3;
  });
  ok($selector->attach(undef, 0, undef) > 0);
  run_until(sub { $calls == 3 });
  is_deeply(\@wrong, []);
  is($selector->get_map->get_size, 0);
  $selector->close;
};

group 'a callback of the source' => sub {
  my $selector = new_selector();
  my ($one, $two) = new_pair();
  my $fd;

  $selector->register(fileno $one, 'write', $NO_DATA);
  $selector->attach(undef, 0, sub { $fd = $_[1]->get_fd; 0 });
  run_until(sub { defined $fd });
  is($fd, fileno $one);
  $selector->close;
};

group 'arguments that a callback keeps' => sub {
  my $selector = new_selector();
  my ($one, $two) = new_pair();
  my @kept;

  $selector->register_callback(fileno $one, 'write', sub { push @kept, [@_]; return @kept < 10 });
  $selector->attach(undef, 0, undef);
  run_until(sub { @kept == 10 });
  $selector->close;
  undef $selector;
  is((grep { $_->[0]->is_closed and $_->[1]->get_fd == fileno $one and $_->[2] == 'write' } @kept), 10);
};

{
  package Token;
  my $alive = 0;
  sub new { $alive++; return bless {}, shift }
  sub DESTROY { $alive-- }
  sub alive { return $alive }
}

group 'callbacks are released' => sub {
  my $selector = new_selector();
  my ($one, $two) = new_pair();
  my $register = sub {
    my $token = Token->new;
    $selector->register_callback(fileno $one, 'read', sub { return defined $token });
  };

  for (1 .. $rounds) {
    $register->();
    $selector->unregister(fileno $one);
  }
  is(Token::alive(), 0);
  $register->();
  is(Token::alive(), 1);
  $selector->close;
  is(Token::alive(), 0);
};

group 'an asynchronous select' => sub {
  my $selector = new_selector();
  my ($one, $two) = new_pair();
  my @kept;

  $selector->register(fileno $one, 'write', $NO_DATA);
  for my $round (1 .. $rounds) {
    $selector->select_async($FOREVER, 0, undef, sub { push @kept, @{$_[0]->select_finish($_[1])} });
    run_until(sub { @kept == $round });
  }
  $selector->close;
  undef $selector;
  is((grep { $_->get_key->get_fd == fileno $one } @kept), $rounds);
};

group 'an asynchronous select is cancelled' => sub {
  my $selector = new_selector();
  my $cancellable = Gio::Cancellable->new;
  my $error;

  $selector->select_async($FOREVER, 0, $cancellable, sub {
    my ($object, $result) = @_;
    $error = failure(sub { $object->select_finish($result) }) // 'no error';
  });
  $cancellable->cancel;
  run_until(sub { defined $error });
  is($error->value, 'cancelled');
};

{
  package BareSelector;
  use Glib::Object::Subclass 'Sel::BaseSelector';

  package HalfSelector;
  use Glib::Object::Subclass 'Sel::BaseSelector';
  sub UPDATE { return 1 }

  package OwnSelector;
  use Glib::Object::Subclass 'Sel::BaseSelector';
  my $watched;
  sub UPDATE { $watched = $_[1]; return 1 }
  sub WAIT { $_[0]->report($watched, 'read'); return 1 }
}

group 'a backend in Perl' => sub {
  my ($one, $two) = new_pair();
  my $half = HalfSelector->new;
  my $own = OwnSelector->new;

  my $error = failure(sub { BareSelector->new->register(fileno $one, 'read', $NO_DATA) });
  is($error->message, 'BareSelector does not implement update ()');
  $half->register(fileno $one, 'read', $NO_DATA);
  is(failure(sub { $half->select(0, undef) })->message, 'HalfSelector does not implement wait ()');

  $own->register(fileno $one, 'read', $NO_DATA);
  is($own->select(0, undef)->[0]->get_key->get_fd, fileno $one);
  $own->close;
};

# Calls a function 100,000 times. Returns the bytes that each call leaves: the median of five batches.
sub growth_of
{
  my ($call) = @_;
  my $n = 20_000;
  my @growths;

  for my $batch (1 .. 5) {
    my $before = SelTest::memory_in_use();
    $call->() for 1 .. $n;
    push @growths, (SelTest::memory_in_use() - $before) / $n;
  }
  return (sort { $a <=> $b } @growths)[2];
}

# The library with memory_in_use () is built only where the C library has mallinfo2 (). In valgrind there are few rounds.
if ($rounds >= 100
    && eval { Glib::Object::Introspection->setup(basename => 'SelTest', version => '1.0', package => 'SelTest'); 1 }) {
  # select_finish () is not here, because the binding itself keeps memory for each asynchronous callback.
  group 'lists do not grow' => sub {
    my $selector = new_selector();
    my ($one, $two) = new_pair();
    my $map = $selector->get_map;
    my @kept;

    cmp_ok(growth_of(sub { push @kept, $map->get_keys; 1 }), '>', 1, 'a growth is seen');
    $selector->register(fileno $_, 'write', $NO_DATA) for $one, $two;
    close $two;
    my %calls = (
      select => sub { scalar @{$selector->select(0, undef)} },
      get_keys => sub { scalar @{$map->get_keys} },
      check => sub { scalar @{$selector->check} },
    );
    for my $name (sort keys %calls) {
      ok($calls{$name}->(), $name);
      cmp_ok(growth_of($calls{$name}), '<', 1, "$name: bytes for each call");
    }
  };
}

done_testing();
