# The scrub task in Perl: text search for the fields, which works only while every line is written the same way.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);

my %iso = ('Germany' => 'DE', 'Switzerland' => 'CH', 'Austria' => 'AT', 'France' => 'FR', 'Italy' => 'IT', 'Spain' => 'ES',
    'United Kingdom' => 'GB', 'Netherlands' => 'NL', 'Poland' => 'PL', 'Portugal' => 'PT', 'Sweden' => 'SE', 'Norway' => 'NO',
    'Finland' => 'FI', 'Denmark' => 'DK', 'Belgium' => 'BE', 'Ireland' => 'IE', 'Czech Republic' => 'CZ', 'Greece' => 'GR',
    'Turkey' => 'TR', 'United States' => 'US', 'Canada' => 'CA', 'Japan' => 'JP', 'Brazil' => 'BR');
while (<STDIN>) {
    my ($uuid, $read, $source) = (substr($_, 10, 36), substr($_, 68, 27), substr($_, 119, 27));
    my ($type, $deleted) = /"change_type": "([A-Z]+)", "is_deleted": (true|false)/;
    my ($id) = /"_id": "([^"]+)"/;
    my $out = qq({"uuid":"$uuid","read_timestamp":"$read","source_timestamp":"$source","change_type":"$type","is_deleted":$deleted,"id":"$id");
    if (/"email": "([^"]+)"/) {
        my $email = lc $1;
        $out .= qq(,"email_sha256":") . sha256_hex($email) . qq(","email_domain":") . substr($email, index($email, '@') + 1) . '"';
    }
    if (/"birthday": "(\d+)-(\d+)-(\d+)"/) {
        my $age = 2026 - $1 - ("$2$3" gt '0101' ? 1 : 0);
        my $decade = int($age / 10) * 10;
        $out .= qq(,"age_group":"$decade-) . ($decade + 9) . '"';
    }
    $out .= qq(,"country":"$iso{$1}") if /"country": "([^"]+)"/;
    print $out, "}\n";
}
