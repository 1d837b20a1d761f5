[01-Mar-2023 10:00:00 UTC] PHP Warning:  Undefined variable $x in /a.php on line 3
[01-Mar-2023 10:00:00 Europe/Berlin] PHP Fatal error:  Uncaught Error: x in /a.php:3
Stack trace:
#0 {main}
  thrown in /a.php on line 3
